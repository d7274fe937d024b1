# A message as posternctl --json tells it, in a few lines for people: what it is, and each step with
# the time since it was accepted.
def seconds: (.[0:19] + "Z" | fromdateiso8601) + (.[19:23] | if test("^[.][0-9]+$") then tonumber else 0 end);
def pad($n): tostring | . + " " * ([$n - length, 0] | max);
def right($n): " " * ([$n - length, 0] | max) + .;
def ms($t): (($t * 1000 | round) / 1000 | tostring) as $s
	| ($s | if contains(".") then . + "000"[0:4 - (length - index("."))] else . + ".000" end) | "+" + . | right(8);
(.accepted_at | seconds) as $start
| "\n" + ($title | pad(52)) + .state,
  "  " + .id + "  " + .media + "  " + (if .from then .from + " to " else "to " end) + .to
	+ (if .parts > 1 then ", \(.parts) parts" else "" end)
	+ (if .priority != "normal" then ", " + .priority else "" end)
	+ (if .client_id then ", known as " + .client_id else "" end) + ", by " + .submitter,
  (.history[] | "  " + ms((.at | seconds) - $start) + " s  " + .what
	+ (if .channel then (if .what == "sent" then " by " else ", " end) + .channel else "" end)
	+ (if .remote_id then ", there called " + .remote_id else "" end)
	+ (if .reason_text then ": " + .reason_text else "" end)
	+ (if .words then " (" + .words + ")" else "" end)
	+ (if .error then ", error " + .error else "" end))
