package findcode_test

import (
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/channel/sms/findcode"
)

func BenchmarkIn(b *testing.B) {
	for _, t := range []struct{ name, text string }{
		{"Latin", "482910 is your MyBank code. It is valid for 5 minutes. Do not share it."},
		{"Cyrillic", "482910 — ваш код MyBank. Действует 5 минут. Никому не сообщайте."},
		{"Han", "【MyBank】您的验证码是482910，5分钟内有效，请勿告知他人。"},
	} {
		b.Run(t.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				findcode.In(t.text)
			}
		})
	}
}

// long are texts that give the rules as much to do as they can, in their first octets.
func long(size int) map[string]string {
	texts := make(map[string]string)
	for _, part := range []string{
		"a", "1", "1 ", "12 ", "4829 ", "4829,", "4829, ", "code 4829 or ", "code 4829, ", "4829 code ", "kod",
		"k", "ko", "K-", "-",
		".", "..", "[", "\"", "\n", "1\n", ": 4829", "@", "@a.b #4829\n", "://", "a.b/c?4829 ", "码", "码4829",
		"รหัส", "رمز ", "é", "😀",
		"\u200b", "order ", "order 48291 ", "is ", "minutes ", "one time ", "to 4829 ", "*4829*", "4829'",
		"4829 is your ", "use 4829 to ",
	} {
		texts[part] = strings.Repeat(part, size/len(part))
	}
	return texts
}

func BenchmarkLong(b *testing.B) {
	for _, size := range []int{findcode.MaxText / 8, findcode.MaxText} {
		all := long(size)
		name := "8KiB"
		if size == findcode.MaxText {
			name = "64KiB"
		}
		b.Run(name, func(b *testing.B) {
			for part, text := range all {
				b.Run(strings.ReplaceAll(part, "/", "|"), func(b *testing.B) {
					for b.Loop() {
						findcode.In(text)
					}
				})
			}
		})
	}
}
