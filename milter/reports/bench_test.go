package reports

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkRead reads 100,000 records in 1,000 files: bare, packed, and attached to messages.
func BenchmarkRead(b *testing.B) {
	dir := b.TempDir()
	const files, records = 1000, 100
	before, after, _ := strings.Cut(testReport("ID"), "  <record>")
	record := "  <record>" + strings.TrimSuffix(after, "</feedback>\n")
	for i := range files {
		var text strings.Builder
		text.WriteString(strings.Replace(before, "ID", fmt.Sprint(i), 1))
		for j := range records {
			text.WriteString(strings.Replace(record, "192.0.2.1", fmt.Sprintf("10.%d.%d.%d", i%256, j, i/256), 1))
		}
		text.WriteString("</feedback>\n")
		content := text.String()
		switch i % 4 {
		case 1:
			content = gzipped(content)
		case 2:
			content = zipped("r.xml", content)
		case 3:
			content = mail(attached, inBase64(gzipped(content)))
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), []byte(content), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		rows := 0
		err := Read(context.Background(), []string{dir}, nil, DefaultLimits(), func(f Found) bool {
			if f.Report != nil {
				rows += len(f.Report.Rows)
			}
			return true
		})
		if err != nil || rows != files*records {
			b.Fatal(rows, err)
		}
	}
}

// BenchmarkMaildir reads 5,000 small messages, each with a packed report of one record.
func BenchmarkMaildir(b *testing.B) {
	dir := b.TempDir()
	const mails = 5000
	files := map[string]string{"new/x": ordinary, "tmp/x": ordinary}
	for i := range mails {
		files[fmt.Sprintf("cur/%d", i)] = mail(attached, inBase64(gzipped(testReport(fmt.Sprint(i)))))
	}
	write(b, dir, files)
	b.ReportAllocs()
	for b.Loop() {
		found := 0
		err := Read(context.Background(), []string{dir}, nil, DefaultLimits(), func(f Found) bool {
			if f.Report != nil {
				found++
			}
			return true
		})
		if err != nil || found != mails {
			b.Fatal(found, err)
		}
	}
}
