// SPDX-License-Identifier: Apache-2.0
// org.example.outlier-clip: a plugin in C++17. Weights further from the mean of their row than so
// many standard deviations are moved to that distance: outliers cost every other number of a group
// its precision when the weight is quantized later.
//
// Nothing of C++ crosses the border: no exception (there is nothing here that throws), no type.
#include <pare/plugin.h>

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace {

struct Row {
    float *first;
    std::uint32_t n;

    float *begin() const { return first; }
    float *end() const { return first + n; }
};

// The numbers of a row that were clipped.
std::size_t clip(const Row &row, double deviations)
{
    double sum = 0, squares = 0;
    for (const float x : row)
        sum += static_cast<double>(x);
    const double mean = sum / row.n;
    for (const float x : row)
        squares += (static_cast<double>(x) - mean) * (static_cast<double>(x) - mean);
    const auto limit = static_cast<float>(deviations * std::sqrt(squares / row.n));
    const auto middle = static_cast<float>(mean);
    std::size_t clipped = 0;
    for (float &x : row) {
        const float held = std::fmin(std::fmax(x, middle - limit), middle + limit);
        clipped += x != 0 && held != x; // what was pruned stays 0
        x = x == 0 ? x : held;
    }
    return clipped;
}

int apply_unit(pare_ctx *ctx, const pare_host *host, const pare_unit *unit) noexcept
{
    const auto *weight = static_cast<const pare_ext_weight *>(host->extension(ctx, PARE_EXT_WEIGHT));
    if (!PARE_HAS(weight, set_values))
        return host->error(ctx, PARE_UNSUPPORTED, "this host cannot change weights");
    double deviations = 0;
    int rc = host->get_real(ctx, unit, "deviations", &deviations);
    if (rc != PARE_OK || deviations == 0)
        return rc;
    const std::size_t n = std::size_t{unit->rows} * unit->cols;
    auto *values = static_cast<float *>(host->alloc(ctx, n, sizeof(float)));
    if (!values)
        return PARE_NOMEM;
    rc = weight->read(ctx, unit, 0, unit->rows, values);
    if (rc != PARE_OK)
        return rc;
    std::size_t clipped = 0;
    for (std::uint32_t r = 0; r < unit->rows; r++)
        clipped += clip(Row{values + std::size_t{r} * unit->cols, unit->cols}, deviations);
    host->log(ctx, PARE_LOG_INFO, "%s: %zu of %zu weights clipped", unit->path, clipped, n);
    return clipped ? weight->set_values(ctx, unit, values) : PARE_OK;
}

// Structs are filled by name in functions: C++17 has no designated initializers.
pare_param deviations()
{
    pare_param p{};
    p.name = "deviations";
    p.help = "standard deviations from the mean of a row beyond which weights are clipped; 0: none are";
    p.type = PARE_REAL;
    p.min = 0;
    p.max = 100;
    p.dflt = "4";
    p.identity = "0";
    p.search = "3,4,6";
    p.varies = PARE_UNIT_LINEAR;
    return p;
}

const pare_param params[] = {deviations()};

pare_plugin describe()
{
    pare_plugin p{};
    p.struct_size = sizeof p;
    p.abi_major = PARE_ABI_MAJOR;
    p.abi_minor = PARE_ABI_MINOR;
    p.id = "org.example.outlier-clip";
    p.version = "1.0.0";
    p.summary = "move outliers of a row to a number of standard deviations";
    p.author = "the Pare project";
    p.url = "https://example.org/outlier-clip";
    p.license = "Apache-2.0";
    p.label = "clip{deviations}";
    p.kind = PARE_TRANSFORM;
    p.flags = PARE_DETERMINISTIC;
    p.unit_kind = PARE_UNIT_LINEAR;
    p.on = "layer.**";
    p.precedes = "quantize";
    p.n_params = sizeof params / sizeof params[0];
    p.param_size = sizeof params[0];
    p.params = params;
    p.apply_unit = apply_unit;
    return p;
}

const pare_plugin plugin = describe();

} // namespace

PARE_PLUGIN(plugin)
