/* SPDX-License-Identifier: Apache-2.0 */
/* A shared object, but no plugin. */
int bad_noentry_answer(void);
int bad_noentry_answer(void)
{
    return 42;
}
