"""What the demo is made of, part by part. (That it succeeds as a whole: tests/end_to_end/test_demo.py.)"""
