package finding

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// However a hint is wrapped, the text of the error stays apart from the advice.
func TestHint(t *testing.T) {
	t.Parallel()
	for text, err := range map[string]error{
		"no key; hint: make one":        WithHint(errors.New("no key"), "make %s", "one"),
		"a.org: no key; hint: make one": fmt.Errorf("a.org: %w", WithHint(errors.New("no key"), "make one")),
		"a.org: no key; hint: look":     WithHint(fmt.Errorf("a.org: %w", WithHint(errors.New("no key"), "make one")), "look"),
		"no key; hint: 100% of it":      WithHint(errors.New("no key"), "100% of it"),
		"no key":                        errors.New("no key"),
	} {
		if got := Text(err); got != text {
			t.Errorf("got %q, want %q", got, text)
		}
		if got := Text(ParseError(text)); got != text {
			t.Errorf("parsed: got %q, want %q", got, text)
		}
	}
}

// No other package puts a hint into the text of an error, or cuts it out of one.
func TestHintsAreTyped(t *testing.T) {
	t.Parallel()
	const root = "../.."
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && strings.HasPrefix(entry.Name(), "."),
			entry.IsDir() && path == filepath.Join(root, "keystore", "finding"):
			return filepath.SkipDir
		case !strings.HasSuffix(path, ".go"), strings.HasSuffix(path, "_test.go"):
			return nil
		}
		files := token.NewFileSet()
		parsed, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(parsed, func(node ast.Node) bool {
			literal, ok := node.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			if text, err := strconv.Unquote(literal.Value); err == nil && strings.Contains(text, "; hint: ") {
				t.Errorf("%s: %s: use finding.WithHint", files.Position(literal.Pos()), literal.Value)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
