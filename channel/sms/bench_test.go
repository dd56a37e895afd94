package sms_test

import (
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/channel/sms"
)

var texts = []struct{ name, text string }{
	{"GSM7", "482910 is your MyBank code. It is valid for 5 minutes. Do not share it."},
	{"UCS2", "482910 — ваш код MyBank. Действует 5 минут. Никому не сообщайте."},
	{"GSM7Long", strings.Repeat("482910 is your MyBank code {1}. ", 20)},
	{"UCS2Long", strings.Repeat("482910 — ваш код MyBank 😀. ", 20)},
}

func BenchmarkEncode(b *testing.B) {
	for _, tt := range texts[:2] {
		b.Run(tt.name, func(b *testing.B) {
			e := sms.Detect(tt.text)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := sms.Encode(tt.text, e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSplit(b *testing.B) {
	for _, tt := range texts {
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := sms.Split(tt.text, sms.Detect(tt.text), sms.Ref8(1)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, tt := range texts[:2] {
		b.Run(tt.name, func(b *testing.B) {
			e := sms.Detect(tt.text)
			data, err := sms.Encode(tt.text, e)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := sms.Decode(data, e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMeasure(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		sms.Measure(texts[0].text)
	}
}

func BenchmarkFold(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		sms.Fold("482910 est votre code MyBank. N’envoyez ce code à personne — il est bientôt périmé.")
	}
}
