package main

const sendDescription = `Sends a message through an SMTP server and shows the dialogue: what we say begins
with C, what the server says with S, remarks with two hyphens. Without a FILE the
message is ours: a few lines of text with all that a header should have. A FILE goes
out as it is; line ends may be LF, and a "From " line of an mbox is left out.

TLS is used where the server offers it, and must be with --user; on port 465 it
begins with the first byte. The certificate is checked, but not on this host itself
unless --tls or --ca is given. A password is never sent in clear text over a network,
never shown, and never taken from the command line, where all users of the host can
read it: put it into SIGNPOST_PASSWORD or a file.

When the server has taken the message, see what became of it: the queue id is in the
logs of Postfix and signpostd, and what arrives goes through signpost verify.

It exits with 0 when the message was taken for all recipients; with 1 when the server
refuses it, or some recipients, for good (5xx), when its certificate is not good, or
when what was asked for (TLS, a login) is not to be had; with 3 when the server
cannot be reached, does not speak SMTP or says "not now" (4xx).

examples:
   $ signpost send --from jane@example.org --to reader@example.net
   -- connecting to localhost:587
   -- connected to 127.0.0.1:587
   S: 220 mta.example.org ESMTP Postfix
   C: EHLO app.example.org
   S: 250-mta.example.org
   S: 250-SIZE 10240000
   S: 250-ENHANCEDSTATUSCODES
   S: 250 8BITMIME
   C: MAIL FROM:<jane@example.org> SIZE=593
   S: 250 2.1.0 Ok
   C: RCPT TO:<reader@example.net>
   S: 250 2.1.5 Ok
   C: DATA
   S: 354 End data with <CR><LF>.<CR><LF>
   C: (the message: 22 lines, 593 bytes)
   C: .
   S: 250 2.0.0 Ok: queued as 4bC3d
   C: QUIT
   S: 221 2.0.0 Bye

   accepted by localhost:587, queue id 4bC3d
      next  look for 4bC3d in the logs of Postfix and signpostd
      then  save the message as it arrived, with its whole header, and run
            signpost verify FILE

   $ signpost send --server mail.example.org --user jane letter.eml
   $ signpost send --server mail.example.org:465 --user jane --password-file secret \
       --from jane@example.org --to reader@example.net --quiet

json:
   {
     "accepted": true,
     "server": "mail.example.org:587",
     "tls": {
       "version": "TLS 1.3",
       "cipher": "TLS_AES_128_GCM_SHA256",
       "certificate_names": ["mail.example.org"],
       "certificate_checked": true
     },
     "user": "jane",
     "from": "jane@example.org",
     "recipients": [
       {
         "address": "reader@example.net",
         "accepted": true,
         "reply": "250 2.1.5 Ok"
       }
     ],
     "queue_id": "4bC3d",
     "reply": "250 2.0.0 Ok: queued as 4bC3d",
     "dialogue": [
       { "who": "S", "text": "220 mail.example.org ESMTP Postfix" },
       { "who": "C", "text": "EHLO app.example.org" }
     ]
   }

   "tls" is null in clear text. When it fails there are "stage" (connect, greeting,
   EHLO, STARTTLS, TLS, AUTH, MAIL, RCPT, DATA or message), "error" and "hint".`
