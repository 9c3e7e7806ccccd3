"""Where do rows come from? One file per publisher's format."""
