-- The MTA goes away in the middle of a message, in good order or without a
-- word. The next connection is none the worse.
dofile(lib)
for _, polite in ipairs({ true, false }) do
	local conn = open()
	mt.disconnect(conn, polite)
	conn = open()
	envelope(conn)
	mt.disconnect(conn, polite)
	conn = open()
	envelope(conn)
	must(mt.header(conn, "From", "a@example.org"))
	mt.disconnect(conn, polite)
	conn = open()
	envelope(conn)
	content(conn, letter("lost"), { "lost\r\n" })
	mt.disconnect(conn, polite)
end
local conn = open()
message(conn, "signed", letter("after quits"), text("after quits"))
mt.disconnect(conn)
