package postfix

import (
	"fmt"
	"strings"
	"testing"
)

func TestExpand(t *testing.T) {
	t.Parallel()
	values := map[string]string{
		"a": "1", "empty": "", "b": "$a$a", "loop": "$loop", "ping": "x$pong", "pong": "${ping}",
		"level": "3.6", "bomb0": "0123456789", "x_y": "under",
	}
	for i := 1; i < 30; i++ {
		values["bomb"+string(rune('A'+i))] = strings.Repeat("$bomb"+string(rune('A'+i-1)), 2)
	}
	values["bombA"] = strings.Repeat("0123456789", 10)
	for i := range 45 { // doubles as often, and comes to nothing
		values[fmt.Sprint("dud", i)] = fmt.Sprintf("$dud%d$dud%d", i+1, i+1)
	}
	tests := []struct{ text, want, err string }{
		{text: "plain", want: "plain"},
		{text: "$a ${a} $(a) $b", want: "1 1 1 11"},
		{text: "$$a $$", want: "$a $"},
		{text: "$x_y-z $a.b", want: "under-z 1.b"},
		{text: "$none[${none}]", want: "[]"},
		{text: "${a?x}${empty?y}${none?z}", want: "x"},
		{text: "${a:x}${empty:y}${none:z}", want: "yz"},
		{text: "${a?{x}:{y}}${empty?{x}:{y}}", want: "xy"},
		{text: "${a ? {x} : {y}}", want: "x"},
		{text: "${a? x}|${empty: y }", want: " x| y "},
		{text: "${a??foo:{b}ar}", want: "?foo:{b}ar"},
		{text: "${a?{${empty:{$b}}}}", want: "11"},
		{text: "${{$a} == {1}}", want: "true"},
		{text: "${{$a} != {1}?{x}:{y}}", want: "y"},
		{text: "${{10} < {9}?{x}:{y}}${{b10} < {b9}?{x}:{y}}", want: "yx"},
		{text: "${{$level} <level {3.10} ? {old} : {new}}", want: "old"},
		{text: "${{$level} >=level {3.6.0}?{new}:{old}}", want: "new"},
		{text: "$", err: "missing name after $"},
		{text: "a $ b", err: "missing name after $"},
		{text: "${}", err: "missing name after $"},
		{text: "${a", err: "never closed"},
		{text: "$(a}", err: "never closed"},
		{text: "${a-b}", err: "invalid parameter name"},
		{text: "${a?{x}y}", err: "not expected"},
		{text: "${a?{x}:{y}z}", err: "not expected"},
		{text: "${{a} = {b}?x}", err: "invalid comparison"},
		{text: "${{a} <age {b}?x}", err: "invalid comparison"},
		{text: "${{a} <level {3}?x}", err: "invalid compatibility level"},
		{text: "$loop", err: "refers to itself"},
		{text: "$ping", err: "refers to itself"},
		{text: "$bombZ", err: "longer than"},
		{text: "$dud0", err: "more than"},
		{text: "${{$dud0} == {}?x}", err: "more than"},
	}
	for _, test := range tests {
		got, err := expand(test.text, func(name string) (string, bool) { v, ok := values[name]; return v, ok })
		switch {
		case test.err != "":
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: got %q, %v, want error %q", test.text, got, err, test.err)
			}
		case err != nil || got != test.want:
			t.Errorf("%s: got %q, %v, want %q", test.text, got, err, test.want)
		}
	}
}
