"""The recipe of the pocket model: drawings, VAE, UNet, readers."""
