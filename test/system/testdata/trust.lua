-- Who the client is decides, for this message and no other.
dofile(lib)
local conn = open("203.0.113.5")
message(conn, "unsigned untrusted-client", letter("stranger"), text("x"))
message(conn, "signed", letter("with login"), text("x"), "{auth_authen}", "user")
message(conn, "unsigned untrusted-client", letter("login gone"), text("x"), "{mail_addr}", "a@example.org")
message(conn, "unsigned untrusted-client", letter("no macros"), text("x"))
mt.disconnect(conn)

conn = open("10.1.2.3")
message(conn, "signed", letter("private network"), text("x"))
mt.disconnect(conn)

conn = open("unspec")
message(conn, "unsigned untrusted-client", letter("unknown client"), text("x"))
message(conn, "signed", letter("unknown client with login"), text("x"), "i", "QUEUEID", "{auth_authen}", "user")
mt.disconnect(conn)
