/* SPDX-License-Identifier: Apache-2.0 */
/* preprocessor_config.json, as transformers' ViT, DeiT and CLIP style image processors write it. */
#include "model/model.h"

#include <math.h>
#include <string.h>

static bool flag(const json_t *config, const char *key, bool fallback)
{
    const json_t *j = json_object_get(config, key);
    return json_is_boolean(j) ? json_is_true(j) : fallback;
}

static int get_side(const json_t *j, const char *what, uint32_t *out, struct pare_error *err)
{
    if (!json_is_integer(j) || json_integer_value(j) < 1 || json_integer_value(j) > 16384)
        return pare_error_set(err, PARE_INVALID, "preprocessor_config.json: %s is no size", what);
    *out = (uint32_t)json_integer_value(j);
    return PARE_OK;
}

/* {"height": H, "width": W}, {"shortest_edge": N}, or N, which is H = W, or the shortest edge. */
static int get_size(const json_t *j, const char *what, uint32_t *height, uint32_t *width,
                    uint32_t *edge, struct pare_error *err)
{
    int rc = PARE_OK;
    if (json_is_object(j) && json_object_get(j, "shortest_edge") && edge) {
        PARE_TRY(get_side(json_object_get(j, "shortest_edge"), what, edge, err));
        *height = *width = 0;
    } else if (json_is_object(j)) {
        PARE_TRY(get_side(json_object_get(j, "height"), what, height, err));
        PARE_TRY(get_side(json_object_get(j, "width"), what, width, err));
    } else if (j) {
        PARE_TRY(get_side(j, what, height, err));
        *width = *height;
    }
out:
    return rc;
}

static int get_numbers(const json_t *j, const char *what, bool positive, uint32_t n, double *out,
                       struct pare_error *err)
{
    if (!j)
        return PARE_OK;
    size_t size = json_is_array(j) ? json_array_size(j) : 1;
    if (size != 1 && size != n)
        return pare_error_set(err, PARE_INVALID,
                              "preprocessor_config.json: %s has %zu numbers, the model %u channels",
                              what, size, n);
    for (uint32_t i = 0; i < n; i++) {
        const json_t *x = json_is_array(j) ? json_array_get(j, size == 1 ? 0 : i) : j;
        out[i] = json_number_value(x);
        if (!json_is_number(x) || !isfinite(out[i]) || (positive && out[i] <= 0))
            return pare_error_set(err, PARE_INVALID, "preprocessor_config.json: %s is out of range",
                                  what);
    }
    return PARE_OK;
}

int pare_preprocess_read(const json_t *config, const struct pare_graph *graph,
                         struct pare_preprocess *out, struct pare_error *err)
{
    struct pare_preprocess p = {.resize = flag(config, "do_resize", true),
                                .resize_height = graph->height,
                                .resize_width = graph->width,
                                .resample = 2,
                                .crop = flag(config, "do_center_crop", false),
                                .crop_height = graph->height,
                                .crop_width = graph->width,
                                .rescale = flag(config, "do_rescale", true),
                                .factor = 1.0 / 255,
                                .normalize = flag(config, "do_normalize", true),
                                .channels = graph->channels};
    const json_t *resample = json_object_get(config, "resample");
    const json_t *factor = json_object_get(config, "rescale_factor");
    int rc;
    for (size_t i = 0; i < 4; i++)
        p.mean[i] = p.deviation[i] = 0.5;
    PARE_TRY(get_size(json_object_get(config, "size"), "size", &p.resize_height, &p.resize_width,
                      &p.shortest_edge, err));
    PARE_TRY(get_size(json_object_get(config, "crop_size"), "crop_size", &p.crop_height,
                      &p.crop_width, NULL, err));
    PARE_TRY(get_numbers(json_object_get(config, "image_mean"), "image_mean", false, p.channels,
                         p.mean, err));
    PARE_TRY(get_numbers(json_object_get(config, "image_std"), "image_std", true, p.channels,
                         p.deviation, err));
    PARE_TRY(get_numbers(factor, "rescale_factor", true, 1, &p.factor, err));
    if (json_is_integer(resample)) {
        json_int_t r = json_integer_value(resample);
        if (r < 0 || r > 3) {
            rc = pare_error_set(err, PARE_UNSUPPORTED,
                                "preprocessor_config.json: resample %d is not supported", (int)r);
            pare_error_hint(err, "supported: 0 nearest, 1 lanczos, 2 bilinear, 3 bicubic");
            goto out;
        }
        p.resample = (uint32_t)r;
    }
    *out = p;
out:
    return rc;
}

json_t *pare_preprocess_json(const struct pare_preprocess *p)
{
    json_t *mean = json_array(), *deviation = json_array(), *size;
    for (uint32_t i = 0; i < p->channels; i++) {
        json_array_append_new(mean, json_real(p->mean[i]));
        json_array_append_new(deviation, json_real(p->deviation[i]));
    }
    if (p->resize_height == 0)
        size = json_pack("{s:I}", "shortest_edge", (json_int_t)p->shortest_edge);
    else
        size = json_pack("{s:I, s:I}", "height", (json_int_t)p->resize_height, "width",
                         (json_int_t)p->resize_width);
    return json_pack("{s:b, s:o, s:I, s:b, s:{s:I, s:I}, s:b, s:f, s:b, s:o, s:o}", "do_resize",
                     (int)p->resize, "size", size, "resample", (json_int_t)p->resample,
                     "do_center_crop", (int)p->crop, "crop_size", "height",
                     (json_int_t)p->crop_height, "width", (json_int_t)p->crop_width, "do_rescale",
                     (int)p->rescale, "rescale_factor", p->factor, "do_normalize",
                     (int)p->normalize, "image_mean", mean, "image_std", deviation);
}
