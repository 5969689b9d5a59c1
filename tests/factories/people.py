"""Members of staff: UserFactory(role="supervisor"), UserFactory(admin=True)."""

import factory
from django.contrib.auth.models import Group, Permission

from core.models import User

ROLES = ("export tariff", "metering", "safe isolation", "engineer", "supervisor", "auditor")


class UserFactory(factory.django.DjangoModelFactory):
    """Somebody who may sign in (password "correct horse"); `role` names a group."""

    class Meta:
        model = User
        skip_postgeneration_save = True

    class Params:
        admin = factory.Trait(is_staff=True, is_superuser=True)

    first_name = "Wren"
    last_name = factory.Sequence(lambda n: f"Halloway {n}")
    username = factory.Sequence(lambda n: f"person{n}")
    email = factory.LazyAttribute(lambda person: f"{person.username}@larkmoor.example")
    password = factory.django.Password("correct horse")

    @factory.post_generation
    def role(person, create, name, **_):
        if name:
            person.groups.add(Group.objects.get(name=name))

    @factory.post_generation
    def permissions(person, create, paths, **_):
        for path in paths or ():
            app, _, codename = path.partition(".")
            found = Permission.objects.get(content_type__app_label=app, codename=codename)
            person.user_permissions.add(found)
