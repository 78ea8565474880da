"""What images bring, table by table."""
