"""What points bring, table by table."""
