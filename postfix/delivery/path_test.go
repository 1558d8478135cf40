package delivery

import (
	"reflect"
	"strings"
	"testing"

	"signpost/postfix"
)

func TestFate(t *testing.T) {
	t.Parallel()
	const pass = "smtp inet n - n - - smtpd\npickup unix n - n 60 1 pickup\ncleanup unix n - n - 0 cleanup\n"
	tests := []struct {
		name, main, master string
		want               Path
	}{
		{name: "stock", want: Path{LineLimit: 998, Converts: true}},
		{name: "the shortest line counts", master: pass + "a unix - - n - - smtp -o smtp_line_length_limit=2000\nb unix - - n - - smtp -o smtp_line_length_limit=500\nc unix - - n - - smtp -o smtp_line_length_limit=0\n",
			want: Path{LineLimit: 500, Converts: true}},
		{name: "no limit", main: "smtp_line_length_limit = 0\ndisable_mime_output_conversion = YES\n", want: Path{}},
		{name: "rewrites", main: "x = pcre:/x\nsmtp_header_checks = $x\n", want: Path{LineLimit: 998, Converts: true, Rewrites: []postfix.Parameter{{Name: "smtp_header_checks", Value: "pcre:/x"}}}},
		{name: "names of the service", master: pass + "out unix - - n - - smtp -o smtp_generic_maps=hash:/$service_name.$process_name\n",
			want: Path{LineLimit: 998, Converts: true, Rewrites: []postfix.Parameter{{Name: "smtp_generic_maps", Value: "hash:/out.smtp"}}}},
		{name: "8BITMIME hidden", main: "smtp_discard_ehlo_keywords = chunking, 8bitMIME\n", want: Path{LineLimit: 998, Converts: true, Hides8BitMIME: true}},
		{name: "filter", main: "smtpd_milters = inet:a:1\ncontent_filter = scan:\n", master: pass + "1025 inet n - n - - smtpd -o content_filter=\n",
			want: Path{LineLimit: 998, Converts: true, ContentFilter: "scan:", Resigned: true}},
		{name: "filter, no milter behind", main: "smtpd_milters = inet:a:1\ncontent_filter = scan:\n", master: pass + "1025 inet n - n - - smtpd -o content_filter= -o smtpd_milters=\n",
			want: Path{LineLimit: 998, Converts: true, ContentFilter: "scan:"}},
		{name: "filter that calls sendmail", main: "smtpd_milters = inet:a:1\nnon_smtpd_milters = inet:a:1\n",
			master: strings.Replace(pass, "smtpd\n", "smtpd -o content_filter=spam\nsubmission inet n - n - - smtpd\nspam unix - n n - - pipe user=s argv=/s\n", 1),
			want:   Path{LineLimit: 998, Converts: true, ContentFilter: "spam", Resigned: true}},
		{name: "filter that calls sendmail, which no milter sees", main: "smtpd_milters = inet:a:1\n",
			master: strings.Replace(pass, "smtpd\n", "smtpd -o content_filter=spam\nsubmission inet n - n - - smtpd\nspam unix - n n - - pipe user=s argv=/s\n", 1),
			want:   Path{LineLimit: 998, Converts: true, ContentFilter: "spam"}},
		{name: "filter before signing", main: "content_filter = scan:\n", master: pass + "1025 inet n - n - - smtpd -o content_filter= -o smtpd_milters=inet:a:1\n",
			want: Path{LineLimit: 998, Converts: true}},
	}
	for _, test := range tests {
		config, err := postfix.ParseConfig("main.cf", []byte(test.main))
		if err == nil && test.master != "" {
			err = config.AddMaster("master.cf", []byte(test.master))
		}
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if got := PathOf(config); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %+v, want %+v", test.name, got, test.want)
		}
	}
}
