#!/usr/bin/python3
"""Verifies the DKIM signatures of mails in a folder by dkimpy, with the keys that lie beside them.

Usage: dkim_verify.py FOLDER      prints a line for each mail; status 1 when one does not hold
"""
import glob
import os
import sys

import dkim

folder = sys.argv[1]


def record(name, timeout=5):
    """The TXT record of a key: the file of that name."""
    if isinstance(name, bytes):
        name = name.decode()
    try:
        with open(os.path.join(folder, name.rstrip(".")), "rb") as f:
            return f.read()
    except OSError:
        return None


def verify(mail):
    """All signatures hold; otherwise False, or why."""
    try:
        checker = dkim.DKIM(mail)
        signatures = [n for n, _ in checker.headers if n.lower() == b"dkim-signature"]
        return bool(signatures) and all(
            checker.verify(idx=i, dnsfunc=record) for i in range(len(signatures)))
    except dkim.DKIMException as e:
        return str(e)


failures = 0
mails = sorted(glob.glob(os.path.join(folder, "dkim-*.eml")))
for path in mails:
    with open(path, "rb") as f:
        mail = f.read()
    header, _, body = mail.partition(b"\r\n\r\n")
    # A verifier that takes all would prove nothing: these must not pass.
    tries = {
        "as it is": (True, mail),
        "another body": (False, header + b"\r\n\r\n" + b"another " + body),
        "a second From": (False, b"From: other@shop.example\r\n" + mail),
        "a second Subject": (False, b"Subject: another\r\n" + mail),
    }
    for name, (wanted, text) in tries.items():
        said = verify(text)
        if (said is True) != wanted:
            failures += 1
            print("FAIL ", os.path.basename(path), name + ":", said)
print(len(mails), "mails,", failures, "failures")
sys.exit(1 if failures or not mails else 0)
