# SPDX-License-Identifier: Apache-2.0
# schema.sql views.sql queries/*.sql as C: the program carries its own SQL.
function quoted(line) {
    gsub(/\\/, "&&", line)
    gsub(/"/, "\\\"", line)
    return "    \"" line "\\n\""
}
function base(path) {
    sub(/.*\//, "", path)
    sub(/\.sql$/, "", path)
    return path
}
BEGIN {
    print "/* Made from the SQL files by db/embed.awk. */"
    print "#include \"db/store_private.h\"\n"
}
FNR == 1 {
    name[++n] = base(FILENAME)
}
/^-- / && !/SPDX/ && !(n in about) {
    about[n] = substr($0, 4)
}
{
    text[n] = text[n] quoted($0) "\n"
}
END {
    for (i = 1; i <= 2; i++)
        print "const char pare_sql_" name[i] "[] =\n" text[i] "    ;\n"
    print "const struct pare_store_named pare_sql_queries[] = {"
    for (i = 3; i <= n; i++) {
        sub(/^    /, "", about[i])
        gsub(/\\/, "&&", about[i])
        gsub(/"/, "\\\"", about[i])
        print "    {\"" name[i] "\",\n    \"" about[i] "\",\n" text[i] "    },"
    }
    print "};\nconst size_t pare_sql_n_queries = sizeof pare_sql_queries / sizeof pare_sql_queries[0];"
}
