"""The host's half of selinux-vm: what makes the image, and what runs machines from it."""
