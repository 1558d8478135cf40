package settings

import (
	"github.com/urfave/cli/v2"

	"signpost/keystore"
	"signpost/keystore/rotation"
)

// Keys is where the keys are, what is required of them, and what the answers of the
// DNS are for.
type Keys struct {
	keystore.Options
	Mode rotation.Mode
}

// KeyDirectory reads where the keys are and what is required of them: what every
// verb that reads the key directory must know to give the answer of signpostd. The
// command need not have the flags, and others are flags of its own that share the
// name of a setting and not the meaning.
func KeyDirectory(c *cli.Context, others ...string) (Keys, error) {
	r := &reader{c: c, others: others}
	options := r.keys()
	return options, r.err
}

func (r *reader) keys() Keys {
	return Keys{
		Options: keystore.Options{
			Dir:         r.value("keys").Text,
			Selectors:   parsed(r, "selector", keystore.ParseSelectors),
			MinBits:     r.number("min-key-bits", keystore.MinBits, keystore.MaxBits),
			RequireSafe: r.on("require-safe-keys"),
		},
		Mode: parsed(r, "dns-check", oneOf(rotation.On, rotation.Warn, rotation.Off)),
	}
}
