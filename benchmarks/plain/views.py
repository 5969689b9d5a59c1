"""A result taken as one usually does: nested serializers, then bulk_create in a transaction."""

from typing import Any

from django.db import transaction
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from benchmarks.plain.models import Serialised


class ReadingForm(serializers.Serializer[Any]):
    """One reading."""

    timestamp = serializers.DateTimeField()
    value = serializers.DecimalField(max_digits=12, decimal_places=3)
    statusFlags = serializers.IntegerField(required=False, allow_null=True)  # noqa: N815 - the sender's name


class SurveyForm(serializers.Serializer[Any]):
    """One register."""

    name = serializers.CharField(max_length=60)
    units = serializers.CharField(max_length=20)
    readings = ReadingForm(many=True)


class ResultForm(serializers.Serializer[Any]):
    """A result."""

    requestReference = serializers.CharField(max_length=255)  # noqa: N815 - the sender's name
    mpan = serializers.CharField(max_length=13)
    surveyData = SurveyForm(many=True)  # noqa: N815 - the sender's name

    def create(self, validated_data: dict[str, Any]) -> str:
        """Write a row a reading."""
        with transaction.atomic():
            Serialised._default_manager.bulk_create(
                Serialised(
                    channel=int(validated_data["mpan"]) * 10 + number,
                    at=reading["timestamp"],
                    value=reading["value"],
                    flags=reading.get("statusFlags"),
                )
                for number, survey in enumerate(validated_data["surveyData"])
                for reading in survey["readings"]
            )
        return str(validated_data["requestReference"])


class PlainResult(APIView):
    """Take one result."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()

    def post(self, request: Request) -> Response:
        """Validate, store, answer."""
        form = ResultForm(data=request.data)
        form.is_valid(raise_exception=True)
        return Response({"requestReference": form.save()})
