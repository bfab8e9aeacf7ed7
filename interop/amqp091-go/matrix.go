// Runs every capability with amqp091-go and prints one line for each. capabilities.go is where to read how things are
// done.
package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const capabilityTimeMax = 90 * time.Second

// The broker's own stop and start come on top.
const recoveryTimeMax = 300 * time.Second

var capabilities = []struct {
	name    string
	proof   func(*amqp.Connection) error
	timeMax time.Duration
}{
	{"declare", declare, capabilityTimeMax},
	{"publish-confirms", publishConfirms, capabilityTimeMax},
	{"consume-acks", consumeAcks, capabilityTimeMax},
	{"get", get, capabilityTimeMax},
	{"returns", returns, capabilityTimeMax},
	{"ttl-dead-letter", ttlDeadLetter, capabilityTimeMax},
	{"priorities", priorities, capabilityTimeMax},
	{"rpc", rpc, capabilityTimeMax},
	{"topology-errors", topologyErrors, capabilityTimeMax},
	{"recovery", recovery, recoveryTimeMax},
}

func main() {
	fmt.Println("client amqp091-go", os.Getenv("CLIENT_VERSION"))
	failed := false
	for _, capability := range capabilities {
		err := inTime(capability.timeMax, func() error { return onConnection(capability.proof) })
		if err == nil {
			fmt.Println("ok", capability.name)
		} else {
			failed = true
			fmt.Printf("not ok %s: %s\n", capability.name, strings.Join(strings.Fields(err.Error()), " "))
		}
	}
	if err := inTime(capabilityTimeMax, func() error { return onConnection(cleanUp) }); err != nil {
		fmt.Fprintln(os.Stderr, "cleaning up:", err)
	}
	if failed {
		os.Exit(1)
	}
}

// Each capability has a connection of its own, so that one that breaks it does no harm to the next.
func onConnection(proof func(*amqp.Connection) error) error {
	connection, err := amqp.Dial(os.Getenv("AMQP_URL"))
	if err != nil {
		return err
	}
	defer connection.Close()
	return proof(connection)
}

func inTime(limit time.Duration, proof func() error) error {
	done := make(chan error, 1)
	go func() { done <- proof() }()
	select {
	case err := <-done:
		return err
	case <-time.After(limit):
		return fmt.Errorf("not over after %v", limit)
	}
}

// To delete what does not exist is no error.
func cleanUp(connection *amqp.Connection) error {
	channel, err := connection.Channel()
	if err != nil {
		return err
	}
	for _, name := range given {
		if _, err := channel.QueueDelete(name, false, false, false); err != nil {
			return err
		}
		if err := channel.ExchangeDelete(name, false, false); err != nil {
			return err
		}
	}
	return nil
}
