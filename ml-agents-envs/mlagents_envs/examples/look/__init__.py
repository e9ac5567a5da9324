"""What each example looks like: a module per scene, named after the scene's own."""
