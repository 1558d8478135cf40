package rotation

import "testing"

func FuzzState(f *testing.F) {
	f.Add([]byte(stateHeader1 + "\na.example s1 000102030405060708090a0b0c0d0e0f there 1800000000 1800000000 0\n"))
	f.Add([]byte(stateHeader1 + "\na b c unknown 1 2 3"))
	f.Fuzz(func(t *testing.T, data []byte) {
		state, err := parseState(data)
		if err == nil && state.marks == nil {
			t.Error("neither marks nor an error")
		}
	})
}
