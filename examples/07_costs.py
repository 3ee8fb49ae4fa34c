"""What a call will cost, what it did cost, and a budget that stops a program in time."""

from _embedded import client_or_demo

MODEL = "fal-ai/fast-julia"
BUDGET = 0.0001

with client_or_demo() as client:
    price = client.models.price(MODEL).run()
    estimate = client.models.estimate(MODEL, calls=100).run()
    print(f"{price.unit_price} {price.currency} a unit ({price.unit}); 100 calls: about {estimate.total_cost:.2f}")
    spent = 0.0
    for subject in ("a fern", "a snail", "a coast", "a storm", "a leaf", "a star", "a cloud", "a shell"):
        done = client.subscribe(MODEL, {"prompt": subject, "size": 96}).run()
        spent += price.cost(done.billable_units or 0.0)
        print(f"{subject}: {spent:.6f} {price.currency} so far")
        if spent > BUDGET:
            print("that is enough")
            break
