-- MTAs that offer less than Postfix 3: no saying which macros are wanted, no
-- leading space, a reply awaited at every step.
dofile(lib)
local addHeaders = 1
for _, offer in ipairs({
	{ 2, 0, addHeaders },
	{ 2, 0x7f, addHeaders },
	{ 2, 0x7f, 0x3f },
	{ 4, 0x3ff, 0x3f },
	{ 6, 0, addHeaders },
	{ 6, 0x1fffff, 0xff },
	{ 6, 0x1fffff, 0x1ff },
}) do
	local conn = open("127.0.0.1", offer[1], offer[2], offer[3])
	message(conn, "signed", letter("offer " .. offer[1]), text("x"))
	message(conn, "signed", letter("again"), text("y"), "i", "QUEUEID")
	message(conn, "unsigned no-key", poison, text("z"))
	mt.disconnect(conn)
end
