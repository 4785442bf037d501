"""Networks under attack: adversarial images, adversarial training, robust evaluation."""
