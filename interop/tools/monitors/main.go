// Asks the broker's HTTP API what monitors and frameworks ask it, and decodes the answers into the types that these
// have: a text where they expect a number makes decoding fail here as it does there.
package main

import (
	"fmt"
	"os"
	"strings"
)

func main() {
	api := newAPI(os.Getenv("MANAGEMENT_URL"))
	fmt.Println("client monitors 1")
	failed := false
	for _, asked := range []struct {
		name string
		work func(*API) error
	}{
		{"keda", keda},
		{"telegraf", telegraf},
		{"datadog", datadog},
		{"terraform", terraform},
		{"nservicebus", nservicebus},
		{"masstransit", masstransit},
		{"hutch", hutch},
	} {
		work, err := watched(api, asked.work)
		switch {
		case err != nil:
			failed = true
			fmt.Printf("not ok %s: %s\n", asked.name, strings.Join(strings.Fields(err.Error()), " "))
		case work != "":
			fmt.Printf("skip %s: %s\n", asked.name, work)
		default:
			fmt.Println("ok", asked.name)
		}
	}
	if failed {
		os.Exit(1)
	}
}

// skipped is an error that says why something cannot be asked of this broker.
type skipped string

func (why skipped) Error() string { return string(why) }

func watched(api *API, work func(*API) error) (string, error) {
	err := work(api)
	if why, ok := err.(skipped); ok {
		return string(why), nil
	}
	return "", err
}

// onPeer is true on RabbitMQ 3.10, whose answers differ from 4.x here and there.
func onPeer() bool { return os.Getenv("LEVERET_PEER") == "rabbitmq" }
