-- A domain that must be signed and has no key: deferred, and the
-- connection goes on.
dofile(lib)
local conn = open()
local naked = { "From: a@keyless.example", "Subject: naked" }
message(conn, "refused", naked, text("x"))
message(conn, "signed", letter("after a refusal"), text("x"))
message(conn, "refused", naked, {})
mt.disconnect(conn)
