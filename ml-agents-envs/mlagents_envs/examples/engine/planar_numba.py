"""The physics of planar bodies, one area at a time, compiled.

A step is Unity's: pushes, friction with the ground, contacts, drag, then motion. Where a number is not Unity's own, it
was fitted to recordings made in Unity.
"""

from __future__ import annotations

import math

import numpy as np

from mlagents_envs.compiled import ORDINARY, compiled

F = np.float32
DT = F(0.02)  # s, of a physics step
NEAR = F(0.02)  # m, gap at which bodies are taken to touch: twice Unity's contact offset
ANCHORS = F(2.0)  # a box that slides is held at two points, each with the whole friction
PATCH = F(1.5)  # how much more friction slows a spin, at the body's edge
SPIN_LEFT = F(0.999)  # of the spin after a step of Unity's default angular drag
ROUNDS = 8  # of solving the contacts; fewer let bodies that are squeezed overlap
SKIN = F(0.002)  # m that are left between bodies at rest, so that rays from one still meet the other
PUSH_OUT = F(0.2)  # m by which overlapping bodies part in a step at most
RESTING = F(2.0)  # m/s below which nothing bounces
FAR = F(-1e9)


@compiled(inline="always")
def rest(body, x, z):
    """Put a body to rest at (x, z), as it is turned."""
    body.x, body.z = F(x), F(z)
    body.vx = body.vz = body.spin = F(0.0)


@compiled(inline="always")
def lift(body, height):
    """Let a body fall from this height above its floor."""
    body.high += body.floor + F(height) - body.low
    body.low = body.floor + F(height)
    body.climb = F(0.0)


@compiled(fastmath=ORDINARY, inline="always")
def push(body, forward, right):
    """Add to the velocity, in m/s as the body looks."""
    c, s = math.cos(body.yaw), math.sin(body.yaw)
    body.vx += s * forward + c * right
    body.vz += c * forward - s * right


@compiled(fastmath=ORDINARY)
def walk(body, action, speed, turn):
    """Apply the single-branch action of many of Unity's scenes, for one physics step.

    action: 0 nothing, 1 forward, 2 back, 3 turn right, 4 turn left, 5 to the left, 6 to the right; speed: m/s that a
    step forward adds, a step aside adds three quarters of it; turn: rad.
    """
    if action == 1:
        push(body, speed, F(0.0))
    elif action == 2:
        push(body, -speed, F(0.0))
    elif action == 3:
        body.yaw += turn
    elif action == 4:
        body.yaw -= turn
    elif action == 5:
        push(body, F(0.0), F(-0.75) * speed)
    elif action == 6:
        push(body, F(0.0), F(0.75) * speed)


@compiled(fastmath=ORDINARY)
def steer(body, action, ahead, aside, turn):
    """Apply the three-branch action of some of Unity's scenes, for one physics step.

    action: 1 forward or 2 back; 1 to the right or 2 to the left, instead of that; 1 turn left or 2 turn right.
    ahead, aside: m/s that a step adds; turn: rad.
    """
    if action[2] > 0:
        body.yaw += -turn if action[2] == 1 else turn
    if action[1] > 0:
        push(body, F(0.0), aside if action[1] == 1 else -aside)
    elif action[0] > 0:
        push(body, ahead if action[0] == 1 else -ahead, F(0.0))


@compiled(fastmath=ORDINARY)
def outside(box, x, z):
    """Return the gap from a box to a point, negative inside, and the normal there."""
    c, s = math.cos(box.yaw), math.sin(box.yaw)
    dx, dz = x - box.x, z - box.z
    lx, lz = c * dx - s * dz, s * dx + c * dz
    ox = lx - min(max(lx, -box.half_x), box.half_x)
    oz = lz - min(max(lz, -box.half_z), box.half_z)
    gap = math.sqrt(ox * ox + oz * oz)
    if gap > F(1e-6):
        nx, nz = ox / gap, oz / gap
    else:
        inside_x, inside_z = box.half_x - abs(lx), box.half_z - abs(lz)
        if inside_x < inside_z:
            nx, nz, gap = F(1.0) if lx > 0 else F(-1.0), F(0.0), -inside_x
        else:
            nx, nz, gap = F(0.0), F(1.0) if lz > 0 else F(-1.0), -inside_z
    return gap, c * nx + s * nz, -s * nx + c * nz


@compiled(fastmath=ORDINARY, inline="always")
def note(contact, a, b, nx, nz, x, z, gap):
    """Write down where bodies a and b touch; normal from b to a."""
    contact.a, contact.b = a, b
    contact.nx, contact.nz, contact.x, contact.z, contact.gap = nx, nz, x, z, gap
    contact.press = contact.grip = contact.leave = F(0.0)


@compiled(fastmath=ORDINARY)
def meet_discs(bodies, i, j, contacts, count):
    """Note where two discs touch and return how many contacts there are now."""
    a, b = bodies[i], bodies[j]
    dx, dz = a.x - b.x, a.z - b.z
    distance = math.sqrt(dx * dx + dz * dz) + F(1e-9)
    gap = distance - a.half_x - b.half_x
    if gap >= NEAR:
        return count
    nx, nz = dx / distance, dz / distance
    note(contacts[count], i, j, nx, nz, a.x - nx * a.half_x, a.z - nz * a.half_x, gap)
    return count + 1


@compiled(fastmath=ORDINARY)
def meet_disc_and_box(bodies, i, j, contacts, count):
    """Note where a disc and a box touch, whichever comes first, and return how many contacts there are now."""
    first = bodies[i].round
    disc, box = (bodies[i], bodies[j]) if first else (bodies[j], bodies[i])
    distance, nx, nz = outside(box, disc.x, disc.z)
    gap = distance - disc.half_x
    if gap >= NEAR:
        return count
    sign = F(1.0) if first else F(-1.0)
    note(contacts[count], i, j, sign * nx, sign * nz, disc.x - nx * disc.half_x, disc.z - nz * disc.half_x, gap)
    return count + 1


@compiled(fastmath=ORDINARY)
def widest_gap(a, b):
    """Return the largest gap between two boxes along the normals of their sides, and that normal, from b to a."""
    best, nx, nz = FAR, F(0.0), F(0.0)
    for side in range(2):
        one, other = (b, a) if side == 0 else (a, b)
        sign = F(1.0) if side == 0 else F(-1.0)
        c, s = math.cos(one.yaw), math.sin(one.yaw)
        oc, os = math.cos(other.yaw), math.sin(other.yaw)
        dx, dz = other.x - one.x, other.z - one.z
        for axis in range(2):
            ux, uz = (c, -s) if axis == 0 else (s, c)
            half = one.half_x if axis == 0 else one.half_z
            reach = abs(oc * ux - os * uz) * other.half_x + abs(os * ux + oc * uz) * other.half_z
            along = dx * ux + dz * uz
            gap = abs(along) - half - reach
            if gap > best + F(1e-4):  # of two gaps that are alike the first, whatever the rounding
                best = gap
                m = sign if along >= 0 else -sign
                nx, nz = m * ux, m * uz
    return best, nx, nz


@compiled(fastmath=ORDINARY)
def meet_boxes(bodies, i, j, contacts, count):
    """Note up to four corners with which two boxes touch, and return how many contacts there are now."""
    a, b = bodies[i], bodies[j]
    gap, nx, nz = widest_gap(a, b)
    if gap >= NEAR:
        return count
    before = count
    depth = max(gap, F(-0.5))
    for side in range(2):
        one, other = (a, b) if side == 0 else (b, a)
        c, s = math.cos(one.yaw), math.sin(one.yaw)
        for corner in range(4):
            hx = one.half_x if corner & 1 else -one.half_x
            hz = one.half_z if corner & 2 else -one.half_z
            x, z = one.x + c * hx + s * hz, one.z - s * hx + c * hz
            if count < before + 4 and outside(other, x, z)[0] < NEAR:
                note(contacts[count], i, j, nx, nz, x, z, depth)
                count += 1
    if count == before:  # crossed like swords
        note(contacts[count], i, j, nx, nz, (a.x + b.x) / F(2.0), (a.z + b.z) / F(2.0), gap)
        count += 1
    return count


@compiled(fastmath=ORDINARY, inline="always")
def radius(body):
    """Return that of the circle around a body."""
    return body.half_x if body.round else math.sqrt(body.half_x * body.half_x + body.half_z * body.half_z)


@compiled(fastmath=ORDINARY)
def find_contacts(bodies, touched, contacts):
    """Fill `touched` and `contacts`, and return how many contacts must be solved."""
    count = 0
    touched[:] = False
    for i in range(len(touched)):
        a = bodies[i]
        if not a.on:
            continue
        around = radius(a) + NEAR
        for j in range(i + 1, len(bodies)):
            b = bodies[j]
            if not b.on:
                continue
            dx, dz = abs(a.x - b.x), abs(a.z - b.z)
            if b.yaw == 0 or b.round:
                half_z = b.half_x if b.round else b.half_z
                if dx > around + b.half_x or dz > around + half_z:
                    continue
            else:
                reach = around + radius(b)
                if dx * dx + dz * dz > reach * reach:
                    continue
            if count + 4 > len(contacts):
                return count
            if a.round and b.round:
                after = meet_discs(bodies, i, j, contacts, count)
            elif a.round or b.round:
                after = meet_disc_and_box(bodies, i, j, contacts, count)
            else:
                after = meet_boxes(bodies, i, j, contacts, count)
            if after > count:
                touched[i, j] = True
                if j < len(touched):
                    touched[j, i] = True
                if a.solid and b.solid and a.inverse_mass + b.inverse_mass > 0:
                    count = after
    return count


@compiled(fastmath=ORDINARY, inline="always")
def strike(a, b, ax, az, bx, bz, jx, jz):
    """Give impulse (jx, jz) to a and its opposite to b; (ax, az), (bx, bz): where, from the middle of each."""
    a.vx += a.inverse_mass * jx
    a.vz += a.inverse_mass * jz
    a.spin += a.inverse_inertia * (az * jx - ax * jz)
    b.vx -= b.inverse_mass * jx
    b.vz -= b.inverse_mass * jz
    b.spin -= b.inverse_inertia * (bz * jx - bx * jz)


@compiled(fastmath=ORDINARY, inline="always")
def weight(a, b, ax, az, bx, bz, ux, uz):
    """Return how much speed along (ux, uz) an impulse of 1 gives to two bodies where they touch."""
    at_a, at_b = az * ux - ax * uz, bz * ux - bx * uz
    return a.inverse_mass + b.inverse_mass + a.inverse_inertia * at_a * at_a + b.inverse_inertia * at_b * at_b


@compiled(fastmath=ORDINARY)
def solve(bodies, contacts, count, friction):
    """Let bodies that touch part or rub, contact after contact, a few rounds; friction: between bodies."""
    for turn in range(ROUNDS):
        for k in range(count):
            contact = contacts[k]
            a, b = bodies[contact.a], bodies[contact.b]
            nx, nz = contact.nx, contact.nz
            ax, az, bx, bz = contact.x - a.x, contact.z - a.z, contact.x - b.x, contact.z - b.z

            speed_x = a.vx + a.spin * az - b.vx - b.spin * bz
            speed_z = a.vz - a.spin * ax - b.vz + b.spin * bx
            apart = speed_x * nx + speed_z * nz
            bounce = max(a.bounce, b.bounce)
            if turn == 0 and bounce > 0:
                contact.leave = bounce * max(F(0.0), -apart - RESTING)
            closing = apart + max(contact.gap - SKIN, F(0.0)) / DT - contact.leave
            before = contact.press
            contact.press = max(F(0.0), before - closing / weight(a, b, ax, az, bx, bz, nx, nz))
            j = contact.press - before
            strike(a, b, ax, az, bx, bz, j * nx, j * nz)

            speed_x = a.vx + a.spin * az - b.vx - b.spin * bz
            speed_z = a.vz - a.spin * ax - b.vz + b.spin * bx
            across = -speed_x * nz + speed_z * nx
            most = friction * contact.press
            before = contact.grip
            contact.grip = min(max(before - across / weight(a, b, ax, az, bx, bz, -nz, nx), -most), most)
            j = contact.grip - before
            strike(a, b, ax, az, bx, bz, -j * nz, j * nx)


@compiled(fastmath=ORDINARY, inline="always")
def slow(body, slowing, threshold):
    """Slow a body that slides on the ground by so many m/s, to a halt below a threshold; return what it moved at."""
    speed = math.sqrt(body.vx * body.vx + body.vz * body.vz)
    left = max(F(0.0), F(1.0) - slowing / (speed + F(1e-9)))
    if speed <= threshold:
        left = F(0.0)
    body.vx *= left
    body.vz *= left
    if body.inverse_inertia > 0:
        edge = max(body.half_x, body.half_z) * abs(body.spin)
        body.spin *= max(F(0.0), F(1.0) - PATCH * slowing / (edge + F(1e-9)))
        speed += edge
    return speed


@compiled(fastmath=ORDINARY, inline="always")
def rub(body, gravity):
    """Slow a body that slides on the ground, and note how much of that was not needed: it resists who pushes then."""
    slowing = ANCHORS * body.friction * gravity * DT
    speed = slow(body, slowing, ANCHORS * body.stiction * gravity * DT)
    body.spare = max(F(0.0), slowing - speed)


@compiled(inline="always")
def hold(body):
    """Keep a pinned body in its place.

    Unity forgets a frozen body's velocity after contacts are solved, in which it weighs what it weighs: a heavy agent
    goes through a light pinned body, slowed as if it pushed another one in front of it in each step.
    """
    body.vx = body.vz = F(0.0)


@compiled(fastmath=ORDINARY, inline="always")
def glide(body, gravity):
    """Move a body by its velocity, after drag; let it fall where it is above its floor."""
    left = max(F(0.0), F(1.0) - body.drag * DT)
    body.vx *= left
    body.vz *= left
    body.spin *= SPIN_LEFT
    body.x += body.vx * DT
    body.z += body.vz * DT
    body.yaw += body.spin * DT
    if body.low > body.floor:
        body.climb = (body.climb - gravity * DT) * left
        body.low += body.climb * DT
        body.high += body.climb * DT
    elif body.climb < 0:  # a step late, as what falls fast is not stopped before it is through
        lift(body, F(0.0))


@compiled(fastmath=ORDINARY)
def part(bodies, contacts, count):
    """Move bodies that overlap out of each other, the lighter one further."""
    for k in range(count):
        contact = contacts[k]
        depth = min((SKIN - contact.gap) * F(0.5), PUSH_OUT)
        if depth > 0:
            a, b = bodies[contact.a], bodies[contact.b]
            share = depth / (a.inverse_mass + b.inverse_mass)
            if not a.pinned:
                a.x += share * a.inverse_mass * contact.nx
                a.z += share * a.inverse_mass * contact.nz
            if not b.pinned:
                b.x -= share * b.inverse_mass * contact.nx
                b.z -= share * b.inverse_mass * contact.nz


@compiled(fastmath=ORDINARY)
def step(bodies, touched, contacts, gravity, friction):
    """Move one area by a physics step, after agents have pushed.

    bodies: (k,) BODY; touched: (moving, k) bool, filled; contacts: room for CONTACT; gravity: m/s2; friction: the
    coefficient between bodies. The first `moving` bodies meet all others; a further one that has mass moves when it is
    struck by these, and passes through all else.
    """
    for i in range(len(bodies)):
        body = bodies[i]
        body.spare = F(0.0)
        if body.on and body.friction > 0 and body.inverse_mass > 0 and body.low <= body.floor:
            rub(body, gravity)
    count = find_contacts(bodies, touched, contacts)
    solve(bodies, contacts, count, friction)
    for i in range(len(bodies)):
        body = bodies[i]
        if body.on and body.inverse_mass > 0:
            if body.spare > 0:
                slow(body, body.spare, F(0.0))
            if body.pinned:
                hold(body)
            glide(body, gravity)
    part(bodies, contacts, count)
