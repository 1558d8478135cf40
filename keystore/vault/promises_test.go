package vault

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"signpost/keystore"
	"signpost/keystore/backendtest"
	"signpost/keystore/vault/vaulttest"
)

// The promises of keystore.Backend hold in both layouts and both versions of KV.
func TestPromises(t *testing.T) {
	for _, kv := range []int{1, 2} {
		for _, layout := range []Layout{Auto, Rspamd, KumoMTA} {
			if kv == 1 && layout == Auto {
				continue // its writes take their time
			}
			t.Run(fmt.Sprintf("kv%d %s", kv, layout), func(t *testing.T) {
				t.Parallel()
				backendtest.Run(t, func(t *testing.T) func() keystore.Backend {
					s := vaulttest.Start(t)
					s.Mount("secret", kv)
					return func() keystore.Backend {
						b := onServer(t, s, "secret/dkim?layout="+string(layout))
						if strings.HasSuffix(t.Name(), "/exclusive") || strings.HasSuffix(t.Name(), "/notes") {
							b.settle = 700 * time.Millisecond // several write at once
						}
						return b
					}
				})
			})
		}
	}
}
