# SPDX-License-Identifier: Apache-2.0
# The files of share/template as C: the program carries what `pare plugin new` writes.
function quoted(line) {
    gsub(/\\/, "&&", line)
    gsub(/"/, "\\\"", line)
    return "     \"" line "\\n\""
}
BEGIN {
    print "/* Made from share/template by core/kit/embed.awk. */"
    print "#include \"kit/new_parts.h\"\n"
    print "const struct pare_template_file pare_template_files[] = {"
}
FNR == 1 {
    if (NR > 1)
        print "    },"
    name = FILENAME
    sub(/.*\//, "", name)
    print "    {\"" name "\","
}
{
    print quoted($0)
}
END {
    print "    },\n};"
    print "const size_t pare_n_template_files = sizeof pare_template_files / sizeof pare_template_files[0];"
}
