"""tailrace: Node.js's net module for Python, on asyncio."""
