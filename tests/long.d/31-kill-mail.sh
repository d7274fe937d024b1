#!/bin/bash
# 75 kills under load with mail: 50 by SMTP, 25 by HTTP.
# timeout: 1800
# flavours: plain
tests/kill/smtp 50 && tests/kill/smtp 25 http
