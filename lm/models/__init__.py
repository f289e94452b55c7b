"""From word ids to nats."""
