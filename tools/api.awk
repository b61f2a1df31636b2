# SPDX-License-Identifier: Apache-2.0
# The reference of the plugin interface from <pare/plugin.h>:
#     awk -f tools/api.awk core/include/pare/plugin.h >docs/plugin-api.md
# A comment tells of what follows it, or of what it follows on its line; "---- title" begins a chapter.

function trimmed(s) { gsub(/^[ \t]+|[ \t]+$/, "", s); return s }
function joined(a, b) { return a == "" ? b : b == "" ? a : a (a ~ /\n$/ ? "" : " ") b }
# Text for a cell or a paragraph: what Markdown would take for its own is told that it is not.
function plain(s,    part, n, i, out) {
    n = split(s, part, "`")
    for (i = 1; i <= n; i++) {
        if (i % 2)
            gsub(/[*_|<>]/, "\\\\&", part[i])
        out = out (i > 1 ? "`" : "") part[i]
    }
    return out
}

# The words of a comment that begins in `line`; reads on until it ends. What stands behind it is in `rest`.
function comment(line,    text) {
    text = ""
    sub(/.*\/\*/, "", line)
    while (line !~ /\*\//) {
        text = joined(text, trimmed(line))
        if ((getline line) <= 0)
            break
        if (line !~ /^[ \t]*\*\//)
            sub(/^[ \t]*\* ?/, "", line)
        if (trimmed(line) == "") {
            text = text "\n\n"
            line = ""
        }
    }
    rest = line
    sub(/.*\*\//, "", rest)
    sub(/[ \t]*\*\/.*/, "", line)
    return joined(text, trimmed(line))
}
function paragraph(text) { if (text != "") print plain(text) "\n" }

# One member of a struct or an enumeration, with what was said before and behind it.
function member(code, before, behind) {
    gsub(/[ \t]+/, " ", code)
    sub(/[;,]$/, "", code)
    gsub(/\( /, "(", code)
    printf "- `%s`%s\n", trimmed(code), (before behind) == "" ? "" : ": " plain(joined(before, behind))
}

function block(head,    code, before, behind, done, line, n, i, part) {
    code = before = behind = ""
    print "### `" trimmed(substr(head, 1, index(head, "{") - 1)) "`\n"
    paragraph(said)
    said = ""
    if (head ~ /};/) { # all on one line
        gsub(/.*\{|};.*/, "", head)
        n = split(head, part, ",")
        for (i = 1; i <= n; i++)
            member(part[i], "", "")
        print ""
        return
    }
    while ((getline line) > 0 && line !~ /^}/) {
        if (line ~ /^[ \t]*$/)
            continue
        if (line ~ /^[ \t]*\/\*/ && code == "") { # before a member, or behind the one above
            before = joined(before, comment(line))
            continue
        }
        behind = ""
        if (line ~ /\/\*/) {
            done = line
            sub(/[ \t]*\/\*.*/, "", done)
            behind = comment(line)
            code = joined(code, trimmed(done))
        } else {
            code = joined(code, trimmed(line))
        }
        if (code ~ /[;,]$/ && gsub(/\(/, "(", code) == gsub(/\)/, ")", code)) {
            member(code, before, behind)
            code = before = ""
        } else {
            before = joined(before, behind)
        }
    }
    if (code != "")
        member(code, before, "")
    print ""
}

BEGIN {
    print "# The plugin interface\n"
    print "Made from [`<pare/plugin.h>`](../core/include/pare/plugin.h) by `tools/api.awk`; the guide is [plugin-authors.md](plugin-authors.md).\n"
}
/^\/\* SPDX/ { next }
/^\/\* ----/ {
    said = ""
    title = comment($0)
    gsub(/-/, "", title)
    print "## " toupper(substr(trimmed(title), 1, 1)) substr(trimmed(title), 2) "\n"
    next
}
/^\/\*/ {
    said = comment($0)
    if (!begun++) {
        paragraph(said)
        said = ""
    }
    next
}
/^(struct|enum) [a-z_]+ \{/ { block($0); next }
/^struct [a-z_]+;/ {
    said = $0 ~ /\/\*/ ? comment($0) : said
    sub(/;.*/, "")
    print "### `" $0 "`\n"
    paragraph(said)
    said = ""
    next
}
/^#define (PARE_PLUGIN_H|PARE_EXPORT|PARE_EXTERN_C)/ { next }
/^#define PARE_[A-Z0-9_]+/ {
    code = $0
    text = ""
    while (code ~ /\\$/ && (getline more) > 0)
        code = code "\n" more
    if (code ~ /\/\*/) {
        text = comment(code)
        sub(/[ \t]*\/\*.*/, "", code)
    }
    name = code
    sub(/^#define /, "", name)
    match(name, /^[A-Z0-9_]+(\([^)]*\))?/)
    value = trimmed(substr(name, RLENGTH + 1))
    name = substr(name, 1, RLENGTH)
    text = joined(said, text)
    said = ""
    if (value ~ /\n/ || name ~ /\(|EXPORT|EXTERN|HEAD/)
        value = ""
    printf "- `%s`%s%s\n\n", name, value == "" ? "" : " = `" value "`", text == "" ? "" : ": " plain(text)
}
