"""Sends two messages in one SMTP session, and a third in another, stopping on the way until
/lab/go is there: between messages, and before the data of one."""
import pathlib
import smtplib
import time

TEXT = "From: a@example.org\r\nSubject: slow\r\n\r\nx\r\n"
between = smtplib.SMTP("127.0.0.1")
between.sendmail("a@example.org", ["b@rcpt.test"], TEXT)
within = smtplib.SMTP("127.0.0.1")
within.ehlo()
for command in "MAIL FROM:<a@example.org>", "RCPT TO:<b@rcpt.test>", "DATA":
    code, text = within.docmd(command)
    assert code < 400, (command, code, text)
silent = smtplib.SMTP("127.0.0.1")
pathlib.Path("/lab/waiting").touch()
while not pathlib.Path("/lab/go").exists():
    time.sleep(0.05)
between.sendmail("a@example.org", ["b@rcpt.test"], TEXT)
within.send(TEXT + ".\r\n")
code, text = within.getreply()
assert code == 250, (code, text)
silent.sendmail("a@example.org", ["b@rcpt.test"], TEXT)
