# SPDX-License-Identifier: Apache-2.0
# The picture in the README: variants by latency and top-1, with 95 % intervals, as SVG.
#   pare list --db F --format csv --columns label,latency_ms,latency_ms_lo,latency_ms_hi,top1,top1_lo,top1_hi,size_bytes,status |
#     tr -d '\r' | awk -f tools/front-svg.awk >docs/front.svg
BEGIN { FS = ","; left = 70; right = 24; top = 44; bottom = 52; w = 860; h = 480 }
NR == 1 || $2 == "" { next }
{
    n++
    label[n] = $1; x[n] = $2; xl[n] = $3; xh[n] = $4; y[n] = $5; yl[n] = $6; yh[n] = $7; size[n] = $8; status[n] = $9
    if (n == 1 || xl[n] < x0) x0 = xl[n]
    if (n == 1 || xh[n] > x1) x1 = xh[n]
    if (n == 1 || yl[n] < y0) y0 = yl[n]
    if (n == 1 || yh[n] > y1) y1 = yh[n]
}
function px(v) { return left + (v - x0) / (x1 - x0) * (w - left - right) }
function py(v) { return h - bottom - (v - y0) / (y1 - y0) * (h - top - bottom) }
function step(range,   s) { s = 1; while (s > range / 4) s /= 10; while (s * 5 < range / 2) s *= 5; while (s * 2 < range / 3) s *= 2; return s }
function circle(i,   r, fill) {
    r = 3 + sqrt(size[i] / 40000)
    fill = status[i] == "sure" || status[i] == "front" ? "#0a7d55" : label[i] == "baseline" ? "#222" : "none"
    printf "<circle cx='%.1f' cy='%.1f' r='%.1f' fill='%s' stroke='%s' stroke-width='1.5' fill-opacity='0.75'/>\n", \
        px(x[i]), py(y[i]), r, fill, fill == "none" ? "#888" : fill
}
END {
    pad = (x1 - x0) * 0.05; x0 -= pad; x1 += pad
    pad = (y1 - y0) * 0.05; y0 -= pad; y1 += pad
    printf "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' font-family='sans-serif' font-size='12'>\n", w, h
    print "<rect width='100%' height='100%' fill='white'/>"
    printf "<text x='%d' y='22' font-size='14'>fashion-vit: top-1 against latency of one image on one thread; 95 %% intervals; area is size</text>\n", left
    s = step(x1 - x0)
    for (v = int(x0 / s) * s; v <= x1; v += s) if (v >= x0) {
        printf "<line x1='%.1f' y1='%d' x2='%.1f' y2='%d' stroke='#eee'/><text x='%.1f' y='%d' text-anchor='middle'>%g</text>\n", px(v), top, px(v), h - bottom, px(v), h - bottom + 18, v
    }
    s = step(y1 - y0)
    for (v = int(y0 / s) * s; v <= y1; v += s) if (v >= y0) {
        printf "<line x1='%d' y1='%.1f' x2='%d' y2='%.1f' stroke='#eee'/><text x='%d' y='%.1f' text-anchor='end'>%.3f</text>\n", left, py(v), w - right, py(v), left - 8, py(v) + 4, v
    }
    printf "<text x='%d' y='%d' text-anchor='middle'>latency, ms</text>\n", (left + w - right) / 2, h - 12
    printf "<text x='18' y='%d' text-anchor='middle' transform='rotate(-90 18 %d)'>top-1</text>\n", (top + h - bottom) / 2, (top + h - bottom) / 2
    for (i = 1; i <= n; i++)
        printf "<path d='M%.1f %.1fH%.1fM%.1f %.1fV%.1f' stroke='#bbb'/>\n", px(xl[i]), py(y[i]), px(xh[i]), px(x[i]), py(yl[i]), py(yh[i])
    for (i = 1; i <= n; i++) circle(i)
    for (i = 1; i <= n; i++) if (status[i] == "sure" || label[i] == "baseline")
        printf "<text x='%.1f' y='%.1f' font-size='11'>%s</text>\n", px(x[i]) + 4, py(y[i]) + (k++ % 2 ? 26 : -14), label[i]
    print "</svg>"
}
