/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PLUGIN_FPSTATE_H
#define PARE_PLUGIN_FPSTATE_H

/* The control bits of the SSE unit (rounding, masks, FTZ and DAZ), without the sticky flags that
 * arithmetic sets. Of the calling thread. */
#define PARE_FP_MASK 0xffc0u
#define PARE_FP_DEFAULT 0x1f80u /* as a process starts: to nearest, all masked, denormals kept */

static inline unsigned pare_fp_control(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_stmxcsr() & PARE_FP_MASK;
#else
    return PARE_FP_DEFAULT;
#endif
}

static inline void pare_fp_set_control(unsigned control)
{
#if defined(__x86_64__)
    __builtin_ia32_ldmxcsr((__builtin_ia32_stmxcsr() & ~PARE_FP_MASK) | control);
#else
    (void)control;
#endif
}

#endif
