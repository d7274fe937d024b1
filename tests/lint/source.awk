#!/usr/bin/awk -f
# Checks C files line by line: banned calls, head comments, marks, magic numbers, typedefs.
# Usage: source.awk banned.txt FILE...      prints FILE:LINE; status 1 when something was found.

function complain(text) {
	printf "%s:%d: %s\n", FILENAME, FNR, text
	bad++
}
function allowed(list, name,    i, n, part) {
	n = split(list, part, " ")
	for (i = 1; i <= n; i++) {
		gsub(/\./, "\\.", part[i]); gsub(/\*/, ".*", part[i])
		if (name ~ "^" part[i] "$")
			return 1
	}
	return 0
}
# The line without comments, string and character literals; in_comment lasts over lines.
function code_of(line,    out, c, two, i, n, quote) {
	out = ""; n = length(line); quote = ""
	for (i = 1; i <= n; i++) {
		c = substr(line, i, 1); two = substr(line, i, 2)
		if (in_comment) { if (two == "*/") { in_comment = 0; i++ } continue }
		if (quote != "") { if (c == "\\") i++; else if (c == quote) quote = ""; continue }
		if (two == "/*") { in_comment = 1; i++; continue }
		if (two == "//") break
		if (c == "\"" || c == "'") { quote = c; out = out c; continue }
		out = out c
	}
	return out
}

FILENAME ~ /banned\.txt$/ {
	if ($0 !~ /^#/ && NF) {
		call = $1
		rest = $0; sub(/^[^ ]+ +/, "", rest)
		places = rest; sub(/  .*| (mem_|time ).*/, "", places)
		reason = substr(rest, length(places) + 1); sub(/^ +/, "", reason)
		where[call] = places == "-" ? "" : places
		why[call] = reason
	}
	next
}
FNR == 1 {
	in_comment = 0
	is_test = FILENAME ~ /_(test\.c|fixture\.h)$/ || FILENAME ~ /^tests\// || FILENAME ~ /\/fuzz_[^\/]*\.c$/
	if ($0 !~ /^\/\*/ )
		complain("a file opens with a comment that says what it is")
}
/(TODO|FIXME)/ { complain("unfinished mark; finish it, or write an issue") }
/(^|[^X])XXX([^X]|$)/ && !/issue [0-9]+/ { complain("an XXX names its issue") }
/[ \t]+$/ { complain("white space at the end of the line") }
{
	code = code_of($0)
	if (code ~ /^#[ \t]*(include|define|undef|error|if|el)/ && code !~ /define/) next
	rest = code
	while (match(rest, /[A-Za-z_][A-Za-z_0-9]*[ \t]*\(/)) {
		name = substr(rest, RSTART, RLENGTH - 1); sub(/[ \t]+$/, "", name)
		before = RSTART > 1 ? substr(rest, RSTART - 1, 1) : " "
		rest = substr(rest, RSTART + RLENGTH)
		if (before == "." || before == ">") continue # a member called so
		if ((name in why) && !allowed(where[name], FILENAME) && !(is_test && allowed(where[name], "tests/x")))
			complain(name "(): " why[name])
	}
	if (code ~ /^typedef[ \t]+(struct|union|enum)/)
		complain("structs are not typedef'd")
	if (match(code, /[A-Z_]+_MAGIC[ \t]+=?[ \t]*0[xX][0-9a-fA-F]+/)) {
		text = substr(code, RSTART, RLENGTH)
		number = text; sub(/.*0[xX]/, "", number); number = tolower(number)
		if (number in magic) complain("magic number 0x" number " is also that of " magic[number])
		magic[number] = FILENAME ":" FNR
	}
}
END { exit bad > 0 }
