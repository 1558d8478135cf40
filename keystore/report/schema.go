package report

// elements are the elements of reports that have others in them: those of RFC 9990, RFC 7489
// and the drafts before it.
var elements = map[string]bool{
	"report_metadata": true, "date_range": true, "policy_published": true, "record": true, "row": true,
	"policy_evaluated": true, "reason": true, "identifiers": true, "identities": true, "auth_results": true,
	"dkim": true, "spf": true,
}

// valueElements are those that have a text in them.
var valueElements = map[string]bool{
	"version": true, "org_name": true, "email": true, "extra_contact_info": true, "report_id": true, "begin": true,
	"end": true, "error": true, "generator": true, "domain": true, "adkim": true, "aspf": true, "p": true, "sp": true,
	"np": true, "pct": true, "fo": true, "testing": true, "discovery_method": true, "source_ip": true, "count": true,
	"disposition": true, "type": true, "comment": true, "header_from": true, "envelope_from": true,
	"envelope_to": true, "selector": true, "scope": true, "result": true, "human_result": true,
}
