#!/usr/bin/awk -f
# Checks every #include against tests/lint/layers.txt. Usage: layers.awk layers.txt FILE...
# Prints FILE:LINE for each breach; status 1 when there is one.

# A pattern of layers.txt as a regular expression.
function expression(pattern,    r) {
	r = pattern
	gsub(/\./, "\\.", r)
	gsub(/\*\*/, "\001", r)
	gsub(/\*/, "[^/]*", r)
	gsub(/\001/, ".*", r)
	return "^" r "$"
}
# The word of `name` where `pattern` has its @; "" when they do not fit.
function word_at(pattern, name,    before, after, rest) {
	before = substr(pattern, 1, index(pattern, "@") - 1)
	after = substr(pattern, index(pattern, "@") + 1)
	if (substr(name, 1, length(before)) != before)
		return ""
	rest = substr(name, length(before) + 1)
	sub(/\/.*/, "", rest)
	return name ~ expression(before rest after) ? rest : ""
}
function fits(list, name, word,    i, n, part) {
	n = split(list, part, " ")
	for (i = 1; i <= n; i++) {
		gsub(/@/, word, part[i])
		if (name ~ expression(part[i]))
			return 1
	}
	return 0
}
function complain(text) {
	printf "%s:%d: %s\n", FILENAME, FNR, text
	bad++
}

FILENAME ~ /layers\.txt$/ {
	if ($1 == "layer" || $1 == "system") {
		head = substr($0, 1, index($0, ":") - 1)
		list = substr($0, index($0, ":") + 1)
		n = split(head, w, " ")
		if ($1 == "layer") { who[++layers] = w[2]; whom[layers] = list }
		else { header[++systems] = w[n]; users[systems] = list; everywhere[systems] = n == 3 }
	}
	next
}
FNR == 1 {
	free = FILENAME ~ /^tests\// || FILENAME ~ /_(test\.c|fixture\.h)$/ || FILENAME ~ /\/fuzz_[^\/]*\.[ch]$/
	layer = 0; word = ""
	for (i = 1; i <= layers && !layer; i++)
		if (who[i] ~ /@/) { if ((word = word_at(who[i], FILENAME)) != "") layer = i }
		else if (FILENAME ~ expression(who[i])) layer = i
	if (!layer && !free)
		complain("belongs to no layer of tests/lint/layers.txt")
}
/^[ \t]*#[ \t]*include[ \t]*"/ {
	split($0, q, "\"")
	if (q[2] !~ /\//)
		complain("\"" q[2] "\" is not written from the root of the tree")
	else if (!free && layer && !fits(whom[layer], q[2], word))
		complain("\"" q[2] "\" is above this layer (" who[layer] ")")
}
/^[ \t]*#[ \t]*include[ \t]*</ {
	name = $0
	sub(/^[^<]*</, "", name); sub(/>.*/, "", name)
	for (i = 1; i <= systems; i++)
		if (name ~ expression(header[i]) && (!free || everywhere[i]) && !fits(users[i], FILENAME, ""))
			complain("<" name "> is for" users[i] " only")
}
END { exit bad > 0 }
