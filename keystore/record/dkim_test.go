package record

import (
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"testing"
)

// A record that the boky/postfix image wrote, byte for byte.
const boky = "mail._domainkey\tIN\tTXT\t( \"v=DKIM1; h=sha256; k=rsa; s=email; \"\n" +
	"\t  \"p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAjlOk7R1DONJOZuuhLHAAXX+QJgvK1F2fXGRVRclnLl6m6lKYR60Cqc2YVpwCuyzuagQEIn1onfFbCK2lP0gIkLtv5mn1Nr27mG2KlcE/A+PxMP/E8NPRwPvcr+8Cfii1ycmI+ehGuIUomkAXSaO12losa4QOapcVwIVv4e6G1qv7QjLnKWq0aveFGNb1DxKbD323dLQLnInYsI\"\n" +
	"\t  \"DE+Oehx7qIvAdR5WfBznNOLhy1qLJUndFJ5b1LvgJRVGhSx/bWxcz0PYQlS+kLDkmOUdQls/Sj0X0AxrK0QTj1EMBMWyU5WSZYjsom+tAreo4/tDr1hBPn+PZb7JaN8ZDF4EW+XwIDAQAB\" )  ; ----- DKIM key mail for feedsubscription.com\n"

func TestGenkeyIsWhatUsersKnow(t *testing.T) {
	encoded := boky[strings.Index(boky, "p=")+2 : strings.Index(boky, "\" )")]
	encoded = strings.NewReplacer("\"", "", "\n", "", "\t", "", " ", "").Replace(encoded)
	der, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ForKey(public.(*rsa.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Genkey("mail", "feedsubscription.com"); got != boky {
		t.Errorf("got\n%swant\n%s", got, boky)
	}
	if got, want := r.String(), "v=DKIM1; h=sha256; k=rsa; s=email; p="+encoded; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The public key of RFC 8463, appendix A.2.
func TestEd25519Record(t *testing.T) {
	const want = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
	public, _ := base64.StdEncoding.DecodeString(want)
	r, err := ForKey(ed25519.PublicKey(public))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.String(); got != "v=DKIM1; h=sha256; k=ed25519; s=email; p="+want {
		t.Errorf("got %s", got)
	}
	if got := Name("brisbane", "football.example.com"); got != "brisbane._domainkey.football.example.com" {
		t.Errorf("got %s", got)
	}
}

func TestForKeyRefuses(t *testing.T) {
	if _, err := ForKey("no key"); err == nil || !strings.Contains(err.Error(), "string") {
		t.Errorf("got %v", err)
	}
}
