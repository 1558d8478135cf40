// Hcl reads configuration of Terraform as Terraform does, for the test of
// keystore/record/render. It is a module of its own, so that Signpost does not
// depend on HCL.
//
// Each line of its input is a JSON string with a whole file. Each line of its
// output says what is in that file.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// file is what a configuration has.
type file struct {
	Error     string     `json:"error"`     // why it cannot be read
	Formatted string     `json:"formatted"` // as "terraform fmt" would have it
	Resources []resource `json:"resources"`
}

// resource is a block. Attributes that refer to something have no value.
type resource struct {
	Kind   string                             `json:"kind"`
	Name   string                             `json:"name"`
	Values map[string]ctyjson.SimpleJSONValue `json:"values"`
}

func main() {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var text string
		err := in.Decode(&text)
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil {
			err = out.Encode(read(text))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func read(text string) file {
	parsed, problems := hclsyntax.ParseConfig([]byte(text), "dns.tf", hcl.InitialPos)
	if problems.HasErrors() {
		return file{Error: problems.Error()}
	}
	f := file{Formatted: string(hclwrite.Format([]byte(text))), Resources: []resource{}}
	for _, block := range parsed.Body.(*hclsyntax.Body).Blocks {
		for _, label := range block.Labels {
			if !hclsyntax.ValidIdentifier(label) {
				return file{Error: fmt.Sprintf("invalid identifier %q", label)}
			}
		}
		if block.Type != "resource" {
			continue
		}
		r := resource{block.Labels[0], block.Labels[1], make(map[string]ctyjson.SimpleJSONValue)}
		for name, attribute := range block.Body.Attributes {
			if len(attribute.Expr.Variables()) > 0 {
				continue
			}
			value, problems := attribute.Expr.Value(nil)
			if problems.HasErrors() {
				return file{Error: problems.Error()}
			}
			r.Values[name] = ctyjson.SimpleJSONValue{Value: value}
		}
		f.Resources = append(f.Resources, r)
	}
	return f
}
