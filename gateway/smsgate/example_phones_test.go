package smsgate_test

import (
	"os"
	"time"

	"github.com/otpcourier/otpcourier/gateway/smsgate"
)

// Three phones behind a private server: two send in the United Kingdom, one in France. The
// server never sees a text or a number.
func ExampleNew_severalPhones() {
	sms, err := smsgate.New(smsgate.Config{
		URL:      "https://sms.example.com/api/3rdparty/v1",
		Username: "K2V6TX",
		Password: os.Getenv("SMSGATE_PASSWORD"),
		Devices: []smsgate.Device{
			{ID: "phone-1", SIM: 1, Countries: []string{"GB"}, SigningKeys: []string{os.Getenv("KEY_1")}},
			{ID: "phone-2", SIM: 1, Countries: []string{"GB"}, SigningKeys: []string{os.Getenv("KEY_2")}},
			{ID: "phone-3", SIM: 1, Countries: []string{"FR"}, SigningKeys: []string{os.Getenv("KEY_3")}},
		},
		ActiveWithin: 2 * time.Hour,
		Passphrase:   os.Getenv("SMSGATE_PASSPHRASE"),
	})
	if err != nil {
		return // the error names the field
	}
	defer func() { _ = sms.Close() }()
}
