/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_RUNTIME_H
#define PARE_RUNTIME_H

#include <stddef.h>

#include <pare/status.h>

/* Run a model that Pare exported (or a Hugging Face folder that it can read) in your own program:
 *
 *     cc classify.c $(pkg-config --cflags --libs pare-runtime)
 *
 * Every function that can fail returns an enum pare_status and writes a line that says why into
 * `message` (`size` bytes with the NUL; NULL or 0: not wanted). Threads: different models are
 * independent; of one model, one thread at a time may call pare_rt_run(), all else any thread at
 * any time until pare_rt_close(). Denormals count as zero while a model runs; the calling thread's
 * floating-point state is as before afterwards, the OpenMP threads' that helped stays so. */

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define PARE_RT_API __attribute__((visibility("default")))
#else
#define PARE_RT_API
#endif

typedef struct pare_rt_model pare_rt_model;

/* Load the plugin in `file`, which brings an encoding: before a model is opened that names it. It
 * is code that runs in this process; a model can name encodings, not files. Loaded again, nothing
 * happens. */
PARE_RT_API int pare_rt_plugin(const char *file, char *message, size_t size);

/* Open `path`: a folder or a .safetensors file. `threads` of at least 1 run it. `*model` is
 * released with pare_rt_close(), and NULL on failure. */
PARE_RT_API int pare_rt_open(const char *path, unsigned threads, pare_rt_model **model,
                             char *message, size_t size);
PARE_RT_API void pare_rt_close(pare_rt_model *model);

/* One input is channels * height * width floats, one plane of a channel after another. */
PARE_RT_API void pare_rt_input_shape(const pare_rt_model *model, unsigned *channels,
                                     unsigned *height, unsigned *width);
PARE_RT_API size_t pare_rt_input_size(const pare_rt_model *model);

/* One output is a logit for each class. A label is the model's and lives as long; NULL: the class
 * has none. */
PARE_RT_API unsigned pare_rt_classes(const pare_rt_model *model);
PARE_RT_API const char *pare_rt_label(const pare_rt_model *model, unsigned class_index);

/* Read a JPEG or PNG file, resized, cropped and normalised as the model wants it:
 * pare_rt_input_size() floats. */
PARE_RT_API int pare_rt_load_image(const pare_rt_model *model, const char *file, float *input,
                                   char *message, size_t size);

/* Run `n` inputs, side by side in `inputs`; `outputs` gets n * pare_rt_classes() floats. An output
 * does not depend on what else is run with it, nor on the number of threads. PARE_FAILED: a result
 * was not finite. */
PARE_RT_API int pare_rt_run(pare_rt_model *model, const float *inputs, size_t n, float *outputs,
                            char *message, size_t size);

#ifdef __cplusplus
}
#endif

#endif
