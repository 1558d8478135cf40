-- What the scripts share. They are run with the daemon's address in `socket`.
-- The results go to standard output, for the Go test to judge: each message
-- as it would be delivered, below a line that says what must be true of it.

function must(err)
	if err ~= nil then error(err, 3) end
end

-- open begins a session with an SMTP client at ip. The arguments after it are
-- what the MTA offers. miltertest takes the steps before the actions, though
-- its manual has it the other way round.
function open(ip, version, steps, actions)
	local conn = mt.connect(socket)
	if conn == nil then error("no connection", 2) end
	must(mt.negotiate(conn, version, steps, actions))
	client(conn, ip or "127.0.0.1")
	return conn
end

-- client says who the SMTP client is.
function client(conn, ip)
	must(mt.conninfo(conn, "client.test", ip))
	if not mt.test_option(conn, SMFIP_NOHELO) then must(mt.helo(conn, "client.test")) end
end

-- envelope begins a message. Further arguments are names and values of macros.
function envelope(conn, ...)
	if select("#", ...) > 0 then must(mt.macro(conn, SMFIC_MAIL, ...)) end
	must(mt.mailfrom(conn, "<a@example.org>"))
	if not mt.test_option(conn, SMFIP_NORCPT) then must(mt.rcptto(conn, "<reader@rcpt.test>")) end
	if not mt.test_option(conn, SMFIP_NODATA) then must(mt.data(conn)) end
end

-- content sends header fields ("Name: value") and body chunks.
function content(conn, fields, chunks)
	for _, field in ipairs(fields) do
		local name, value = string.match(field, "^([^:]*): (.*)$")
		-- miltertest adds the leading space where it was agreed on
		must(mt.header(conn, name, value))
	end
	must(mt.eoh(conn))
	for _, chunk in ipairs(chunks) do must(mt.bodystring(conn, chunk)) end
end

-- finish ends the message and reports it.
function finish(conn, want, fields, chunks)
	must(mt.eom(conn))
	local reply = mt.getreply(conn)
	if want == "refused" then
		-- With which code is not asked: miltertest dies of that question.
		if reply ~= SMFIR_REPLYCODE then error("reply " .. reply .. ", want a refusal", 2) end
		return
	end
	if reply ~= SMFIR_ACCEPT and reply ~= SMFIR_CONTINUE then error("reply " .. reply, 2) end
	mt.echo("=== " .. want)
	local n = 0
	while mt.getheader(conn, "DKIM-Signature", n) ~= nil do
		local value = mt.getheader(conn, "DKIM-Signature", n)
		if not mt.test_option(conn, SMFIP_HDR_LEADSPC) then value = " " .. value end
		mt.echo("DKIM-Signature:" .. value)
		n = n + 1
	end
	for _, field in ipairs(fields) do mt.echo(field) end
	mt.echo("")
	mt.echo(table.concat(chunks))
end

-- message sends a whole message and reports it.
function message(conn, want, fields, chunks, ...)
	envelope(conn, ...)
	content(conn, fields, chunks)
	finish(conn, want, fields, chunks)
end

function letter(subject)
	return { "From: A <a@example.org>", "Subject: " .. subject, "X-Folded: one\n\ttwo", "Date: Mon, 02 Nov 2026 10:00:00 +0000" }
end

function text(what)
	return { "This is ", what .. ".\r", "\n\r\nBye.\r\n" }
end

poison = { "From: B <b@other.example>", "Subject: poison", "Date: never" }
