package sms_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/otpcourier/otpcourier/channel/sms"
)

func Example() {
	text := "482910 est votre code — ne l’envoyez à personne, même à nous."
	fmt.Printf("%+v\n", sms.Measure(text))

	text = sms.Fold(text)
	fmt.Printf("%+v\n", sms.Measure(text))
	fmt.Println(text)
	// Output:
	// {Encoding:UCS-2 Units:61 Segments:1 Left:9}
	// {Encoding:GSM-7 Units:61 Segments:1 Left:99}
	// 482910 est votre code - ne l'envoyez à personne, meme à nous.
}

func ExampleSplit() {
	text := strings.Repeat("0123456789", 16) + "€"
	parts, err := sms.Split(text, sms.Detect(text), sms.Ref8(42))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range parts {
		message := slices.Concat(p.UDH, p.Data) // short_message; esm_class 0x40 if p.UDH != nil
		fmt.Printf("header %x, %d octets in all\n", p.UDH, len(message))
	}
	// Output:
	// header 0500032a0201, 159 octets in all
	// header 0500032a0202, 15 octets in all
}

func ExampleEncode_error() {
	_, err := sms.Encode("Votre code français", sms.GSM7)
	var e *sms.Error
	if errors.As(err, &e) && e.Reason == sms.Unencodable {
		fmt.Printf("%q does not fit: %v\n", e.Char, err)
	}
	// Output:
	// 'ç' does not fit: sms: U+00E7 at offset 15 is not in GSM-7
}
