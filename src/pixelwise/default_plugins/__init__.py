"""Built-in families and carriers, registered the way a stranger's plugin is."""
