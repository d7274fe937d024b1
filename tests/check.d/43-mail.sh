#!/bin/bash
# Mails that the gateway builds and signs, as readers and verifiers see them that are not ours:
# mailparser, dkimpy, Mail::DKIM.
# timeout: 120
. tests/lib.sh
need "$OUT/tests/mail_build_test" "$OUT/tests/mail_dkim_test"
verify "npm packages" tests/peers/setup
export MAIL_OUT=$SCRATCH/mails
mkdir -p "$MAIL_OUT"
verify "mails are built" "$OUT/tests/mail_build_test"
verify "mails are signed" "$OUT/tests/mail_dkim_test"
verify "mailparser reads what was written" node tests/peers/mail.js "$MAIL_OUT"
# The system's Python: Debian's packages are for no other.
verify "dkimpy takes the signatures (RSA, Ed25519)" /usr/bin/python3 tests/peers/dkim_verify.py "$MAIL_OUT"
verify "Mail::DKIM takes the signatures (RSA)" /usr/bin/perl tests/peers/dkim_verify.pl "$MAIL_OUT"
finish
