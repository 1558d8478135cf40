package render

import (
	"fmt"

	"signpost/keystore/finding"
)

// renderCloudflare writes the body of a POST to /zones/ZONE_ID/dns_records/batch
// of Cloudflare's API. (What its web page imports is the format "zone".)
func renderCloudflare(records []Record) (string, error) {
	type post struct {
		Type     string `json:"type"`
		Name     string `json:"name"`
		Content  string `json:"content"`
		TTL      int    `json:"ttl"`
		Priority *int   `json:"priority,omitempty"`
	}
	posts := []post{}
	for _, r := range records {
		if err := cloudflareTTL(r); err != nil {
			return "", err
		}
		p := post{Type: r.Type, Name: r.Name, Content: cloudflareContent(r), TTL: r.TTL}
		if r.Type == "MX" {
			preference, _, _ := r.mx() // checked before
			p.Priority = &preference
		}
		posts = append(posts, p)
	}
	return indented(struct {
		Posts []post `json:"posts"`
	}{posts})
}

// cloudflareContent is what Cloudflare calls the data of a record. It wants TXT
// in quotation marks, and warns on its web page where they are not.
func cloudflareContent(r Record) string {
	if r.Type == "MX" {
		_, host, _ := r.mx() // checked before
		return host
	}
	return r.quoted(masterEscape)
}

func cloudflareTTL(r Record) error {
	if r.TTL != 1 && (r.TTL < 60 || r.TTL > 86400) {
		return finding.WithHint(fmt.Errorf("TTL of %s: Cloudflare does not take %d seconds", r.Name, r.TTL),
			"it takes 60 to 86400, or 1 for its own choice")
	}
	return nil
}
